"""Guest memory: blocks of RAM, regions, address spaces, and devices' access to them."""
