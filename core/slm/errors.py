"""The three ways to fail: the user's mistake, the plugin author's, and the machine's."""


class SlmError(Exception):
    """A mistake the user can mend: one line with its place and its remedy, exit code 2, no traceback."""


class PluginError(Exception):
    """A mistake of a plugin's author: it names plugin and distribution and keeps its traceback; exit code 1."""


class StageError(Exception):
    """A stage that failed while it ran: one line with stage, cause and remedy, exit code 1; the log has the rest."""
