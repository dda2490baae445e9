"""Lets gevent patch everything, whenever this is imported."""

from __future__ import annotations

import warnings

from gevent import monkey

with warnings.catch_warnings():
    warnings.simplefilter("ignore", monkey.MonkeyPatchWarning)  # it warns where ssl is there before it
    monkey.patch_all()
