"""python -m southbridge.description: keeps the trees of the shipped descriptions, where a start mayn't write them."""

from .loader import keep_trees, shipped_folder

keep_trees(shipped_folder())
