"""The web app. Importing it loads gradio; nothing below it does."""

import os

# Gradio reads these when it is imported, so they come first: nothing is reported to anyone.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
