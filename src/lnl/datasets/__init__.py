"""Where images come from: a :class:`~lnl.datasets.source.Source` reads them, and says by a key what it reads."""
