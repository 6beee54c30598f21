"""Other engines on this machine, into which an image is loaded. They are driven by their command line.

The command, not the socket: `docker` and `podman` know contexts, DOCKER_HOST, TLS and ssh, where the socket
is and who may use it; and wherever people have such an engine they have its command.
"""
