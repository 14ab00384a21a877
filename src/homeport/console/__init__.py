"""The console: endpoints in a web page on this machine, behind the door of every server of homeport's."""
