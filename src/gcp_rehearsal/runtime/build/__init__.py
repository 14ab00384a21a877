"""
Builds for real: scripts in Python run on this machine, and of the images that they build there is a plain copy.

What an image is made of lies in the cloud's folder, under `images/` and its digest: `image.json` says what a container
of it runs, `root/` holds the files that were copied into it. What its base holds is not there, and what its `RUN`
lines would do is not done.
"""
