"""The one exception for mistakes a user can mend."""


class InputError(Exception):
    """Bad input: a flag, a file or a setting.

    The message is one line that says what was expected, what was found and where; the command
    line prints it without a traceback and exits with status 2.
    """
