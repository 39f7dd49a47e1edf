"""The hot path as native code: which modules mypyc compiles, how, and how a process gets to use them.

The sources stay the only truth: what was compiled from others is not used, and without a C compiler
everything runs interpreted, only slower. Not here: any code that behaves differently when it is compiled.
"""
