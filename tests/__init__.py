"""natsroute's tests: ``python -m twisted.trial tests``."""

import sys

# Every process that runs tests watches its log, whichever tests it runs, and gives each test the same generous time.
# The programs of the tests run without trial.
if "twisted.trial" in sys.modules:
    from twisted.trial import util

    from tests.support import secret_watch
    from tests.support.waiting import TEST_TIMEOUT

    secret_watch.install()
    util.DEFAULT_TIMEOUT_DURATION = TEST_TIMEOUT
