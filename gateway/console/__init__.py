"""The operations console: pages rendered here, plain forms, no scripts. It holds nothing and decides nothing.

A person signs in and gets a session, which is a key that ends by itself; every page and every action is a call to the
service that owns it, made as that person, so that what they may is judged where it happens.
"""
