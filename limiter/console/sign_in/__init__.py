"""Who may look: the gate in front of every page, asset and websocket, and the sign-ins that it knows."""
