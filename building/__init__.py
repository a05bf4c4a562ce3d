"""What setup.py needs to build the native part: tools searched, objects kept, what ptxas said. Not installed."""
