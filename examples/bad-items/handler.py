"""Squares numbers. Items that are no numbers do what they say, as bad data does when it meets real code."""

import os
import signal
import time


class Handler:
    def __init__(self, config):
        pass

    def handle_batch(self, payload):
        return [item * item if isinstance(item, int) else getattr(self, item)() for item in payload]

    def raises(self):
        raise ValueError("it does not fit")

    def ends_its_process(self):
        os._exit(3)

    def kills_its_process(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def hangs(self):
        time.sleep(3600)

    def kills_the_worker(self):
        os.killpg(os.getpgid(os.getppid()), signal.SIGKILL)
        time.sleep(3600)
