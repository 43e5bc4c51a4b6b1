"""The blocks of docs/studies/*.md: a module for each page, with BLOCKS, a function for each block."""
