"""Google's APIs: a folder for each, in which a module answers the methods of one kind of thing."""
