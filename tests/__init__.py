"""natsroute's tests: ``python -m twisted.trial tests``."""

import sys

# Every process that runs tests watches its log, whichever tests it runs, and gives each test the same generous time; so
# does hypothesis. The programs of the tests run without trial.
if "twisted.trial" in sys.modules:
    from hypothesis import HealthCheck, settings
    from twisted.trial import util

    from tests.support import secret_watch
    from tests.support.waiting import TEST_TIMEOUT

    secret_watch.install()
    util.DEFAULT_TIMEOUT_DURATION = TEST_TIMEOUT
    settings.register_profile("busy machines", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("busy machines")
