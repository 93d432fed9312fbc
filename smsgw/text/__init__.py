"""Characters and octets, pure: alphabets, user data headers, splitting and joining.

Start at :func:`smsgw.text.charset.choose` and :func:`smsgw.text.segmentation.plan` for what goes
out, and at :func:`smsgw.text.udh.split_header` and :func:`smsgw.text.segmentation.join` for what
comes in.
"""
