# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The least that a working memory reaches on oracle percepts; what CI and ``--check`` ask for.

The limits lie far below what the memory reaches and far above what a broken one does: the same
check on the scores of its *reset* control must fail, and a test holds that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ['LIMITS', 'verdict_of']

# Score: least value. Errors in metres have most values instead.
LIMITS = {
    'locate.recall_at_0.5m': 0.7,
    'locate.precision': 0.7,
    'verdict.macro_f1': 0.6,
    'vsi.overall': 0.4,
    'vsc.mra': 0.4,
    'vsr.accuracy': 0.5,
}
MOST = {'locate.median_error_m': 0.25}


def verdict_of(results: Mapping[str, Any], *, prefix: str = '') -> list[str]:
    """Return a sentence for every score that is worse than its limit.

    Args:
        results: flat results of an exam. Scores of sets that were not asked are not judged.
        prefix: of the system that is judged, such as 'control.reset.'.
    """
    said = []
    for key, least in LIMITS.items():
        value = results.get(prefix + key)
        if value is not None and not value >= least:
            said.append(f'{prefix}{key} is {value:.3f}, expected at least {least:g}')
    for key, most in MOST.items():
        value = results.get(prefix + key, 0.0)
        if value is None or not value <= most:
            got = 'infinite' if value is None else f'{value:.3f}'
            said.append(f'{prefix}{key} is {got}, expected at most {most:g}')
    if not any(prefix + key in results for key in LIMITS):
        said.append(f'no score of {prefix or "the memory"} to judge: was the memory under exam?')
    return said
