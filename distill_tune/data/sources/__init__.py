"""Where data come from: one file a source, whose name is what `data.source` says."""
