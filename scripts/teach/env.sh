# Sourced: make the environment of the lessons in $FOLDER/env, and name its Python in $PYTHON.
PYTHON="$FOLDER/env/bin/python"
STAMP="$FOLDER/env/homeport-$(cksum < locks/teach.txt | cut -d' ' -f1)"
if [ ! -f "$STAMP" ]; then
  "${PYTHON3:-python3}" -m venv "$FOLDER/env"
  "$PYTHON" -m pip install --quiet --disable-pip-version-check -r locks/teach.txt
  touch "$STAMP"
fi
