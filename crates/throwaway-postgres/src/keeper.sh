# Waits for the process that it is for to end, then stops that one's server and removes its folder.
cat >/dev/null
if pid=$(head -n 1 "$1/data/postmaster.pid"); then
    kill -QUIT "$pid"
    while kill -0 "$pid"; do sleep 0.02; done
fi
rm -rf "$1"
