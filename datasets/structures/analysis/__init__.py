"""What a structure is like, in numbers: one family of quantities per module, `Analysis` for what they
share.
"""
