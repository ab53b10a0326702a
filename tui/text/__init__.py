"""Text of values, for console and command line alike. Pure.

format      ages, moments, sizes, commands, percentages
tables      tables for the command line
chat_lines  what is typed into `answerback chat`, and its replies as lines and choices
"""
