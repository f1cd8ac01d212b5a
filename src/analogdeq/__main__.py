"""`python -m analogdeq` is `analogdeq`; torchrun starts it this way."""

from analogdeq.cli.start import main

if __name__ == "__main__":
    main()
