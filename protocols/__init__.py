"""What is said: domain types, messages between actors, the venue interface and the venues' sans-I/O codecs.

Nothing here imports another folder of ours, awaits, reads a clock, a file, a socket or a random number.
"""
