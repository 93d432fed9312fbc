"""The loops between rows and links: committed segments out, answers, reports and replies in.

Start at ``dispatcher`` (messages to phones) and ``inbound`` (what phones and carriers send back).
Nothing here decides what a message means; that is for the services, told through callables.
"""
