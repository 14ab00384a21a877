#!/bin/sh
# Install Debian's fuse3, by which rehearsals mount buckets. Never fails: without it they read a folder instead.
set -u
if command -v fusermount3 >/dev/null; then
  exit 0
fi
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  echo "installing fuse3"
  export DEBIAN_FRONTEND=noninteractive
  { apt-get install -y -qq --no-install-recommends fuse3 ||
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends fuse3; }; } >/dev/null 2>&1 && exit 0
fi
echo "there is no fusermount3: buckets of a rehearsal will be folders and nothing is mounted; Debian's package is fuse3"
