"""The interpreter of an image: run on the host to compile bytecode; standalone builds as trees."""
