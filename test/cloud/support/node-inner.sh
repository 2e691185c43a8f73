#!/bin/bash
# Process 1 of a test node, in mount and process namespaces of its own: node-inner.sh FOLDER DEBIAN-ROOT KUBERNETES NAME
set -eu
folder=$1 root=$2 kubernetes=$3 name=$4

mount --make-rshared /
mount -t proc proc /proc
# the kubelet insists on these settings: it is shown files with the values it wants, and the machine's own stay as they are
mount -t tmpfs -o mode=755 run /run
mkdir -p /run/containerd /run/netns /run/settings
for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
  kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000 net/ipv4/ip_forward=1; do
  file=/run/settings/${setting##*/}
  file=${file%=*}
  echo "${setting#*=}" > "$file"
  mount --bind "$file" "/proc/sys/${setting%=*}"
done
# paths that the kubelet and the network plugins know by heart
mount -t tmpfs -o mode=755 state /var/lib
mount -t tmpfs -o mode=755 logs /var/log
mkdir -p /var/lib/kubelet /var/lib/cni /var/log/containers /var/log/pods

export PATH="$root/usr/bin:$root/usr/sbin:$PATH"
socket=$folder/run/containerd.sock
containerd -c "$folder/containerd.toml" > "$folder/logs/containerd.log" 2>&1 &
containerd=$!
until ctr -a "$socket" version > /dev/null 2>&1; do
  kill -0 "$containerd" || { tail -n 5 "$folder/logs/containerd.log" >&2; exit 1; }
  sleep 0.1
done
for image in "$folder"/images/*.tar; do ctr -a "$socket" -n k8s.io images import "$image" > /dev/null; done

"$kubernetes" kubelet --config "$folder/kubelet.yaml" --kubeconfig "$folder/kubeconfig" --hostname-override "$name" \
  --root-dir "$folder/kubelet" --cert-dir "$folder/kubelet/pki" --node-labels "$(cat "$folder/labels")" \
  > "$folder/logs/kubelet.log" 2>&1 &
wait -n || true
echo "containerd or the kubelet of $name ended:" >&2
tail -n 8 "$folder/logs/containerd.log" "$folder/logs/kubelet.log" >&2
exit 1
