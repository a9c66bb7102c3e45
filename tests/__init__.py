"""natsroute's tests: ``python -m twisted.trial tests``."""

import sys

# Every process that runs tests watches its log, whichever tests it runs. The programs of the tests run without trial.
if "twisted.trial" in sys.modules:
    from tests.support import secret_watch

    secret_watch.install()
