"""Packages of npm, for examples and tests in JavaScript: into a directory of the run, once."""
import os
import subprocess


def install(home, *packages):
    """Installs into home/node_modules; the environment in which node finds it."""
    os.makedirs(home, exist_ok=True)
    env = {**os.environ, "HOME": home, "NODE_PATH": os.path.join(home, "node_modules")}
    if os.path.exists("/etc/ssl/certs/ca-certificates.crt"):
        env.setdefault("NODE_EXTRA_CA_CERTS", "/etc/ssl/certs/ca-certificates.crt")  # node has a list of its own
    done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", home, *packages], env=env, cwd=home,
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return env
