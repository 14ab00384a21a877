"""`python -m homeport`: the command line."""

from homeport.cli import main

if __name__ == "__main__":
    main()
