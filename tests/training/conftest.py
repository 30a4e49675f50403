import sys
from pathlib import Path

# The tests of this directory share models.py.
sys.path.insert(0, str(Path(__file__).parent))
