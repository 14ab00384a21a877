// Refuses every address but loopback in a process of Node: as guard/sitecustomize.py does in one of Python.
const dns = require("node:dns");
const fs = require("node:fs");
const net = require("node:net");

function check(host) {
  if (host === undefined || host === "localhost" || host === "::1" || /^127\./.test(host)) return;
  fs.appendFileSync(process.env.GUARD_NOTES, `${host}\n`);
  throw new Error(`clients talk to loopback only, not to ${host}`);
}

const { connect } = net.Socket.prototype;
net.Socket.prototype.connect = function guarded(...words) {
  const how = Array.isArray(words[0]) ? words[0][0] : words[0];
  if (typeof how === "object") check(how.path ? undefined : how.host);
  else if (typeof words[1] === "string") check(words[1]);
  return connect.apply(this, words);
};
const { lookup } = dns;
dns.lookup = (host, ...rest) => {
  check(host);
  return lookup(host, ...rest);
};
