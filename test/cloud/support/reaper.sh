#!/bin/sh
# Removes what a test cluster leaves: sh reaper.sh FOLDER ID. It waits for the end of its input, which comes when the
# cluster is stopped and also when the process that started it is killed; by then the kernel has killed the rest.
folder=$1
id=$2
trap '' INT TERM HUP
cat > /dev/null

groups() { find /sys/fs/cgroup -mindepth 2 -maxdepth 2 -type d -name "millrace-$id-*" 2> /dev/null; }

tries=100
while [ "$tries" -gt 0 ]; do
  tries=$((tries - 1))
  for group in $(groups); do
    find "$group" -name cgroup.procs -exec cat {} + 2> /dev/null | xargs -r kill -KILL 2> /dev/null
    find "$group" -depth -type d -exec rmdir {} + 2> /dev/null
  done
  for link in $(ls /sys/class/net | grep "^mr$id"); do ip link delete "$link" 2> /dev/null; done
  rm -rf --one-file-system "$folder" 2> /dev/null
  [ -z "$(groups)" ] && [ ! -e "$folder" ] && exit 0
  sleep 0.1
done
echo "these are left of test cluster $id: $(groups | tr '\n' ' ')$(ls -d "$folder" 2> /dev/null)" >&2
exit 1
