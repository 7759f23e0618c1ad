"""The only room for napari and Qt: docks, layers, forms, and the way into worker threads."""
