"""What Southbridge costs, beside QEMU on the same machine in the same run: `make bench`."""
