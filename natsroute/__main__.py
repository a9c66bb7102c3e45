"""``python -m natsroute``: the same as the console command ``natsroute``."""

from natsroute.console.main import main

if __name__ == "__main__":
    main()
