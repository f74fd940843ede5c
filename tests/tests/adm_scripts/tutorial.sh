#!/bin/sh
# A small server farm, from nothing to a saved table and back.

VIP=10.9.0.100
RS1=10.10.0.11
RS2=10.10.0.12
RULES=${RULES:-/etc/ipvsadm.rules}

# Begin with an empty table, and shorter timeouts.
ipvsadm -C
ipvsadm --set 600 60 120
ipvsadm -L --timeout

# A web site by NAT.
ipvsadm -A -t $VIP:80 -s rr
ipvsadm -a -t $VIP:80 -r $RS1:80 -m
ipvsadm -a -t $VIP:80 -r $RS2:80 -m -w 2
ipvsadm -L -n

# Visitors of the secure site stay on their server for ten minutes.
ipvsadm -A -t $VIP:443 -s wlc -p 600
for server in $RS1 $RS2; do
    ipvsadm --add-server --tcp-service $VIP:443 --real-server $server:8443 --masquerading --weight 3
done

# Names: each question on its own.
ipvsadm -A -u $VIP:53 -s wrr --ops
ipvsadm -a -u $VIP:53 -r $RS1:53 -m
ipvsadm -a -u $VIP:53 -r $RS2:53 -m -w 4

# Everything else at this address, by direct routing; clients of one network together.
ipvsadm -A -t 10.9.0.101:0 -s sh -b sh-fallback,sh-port -p -M 255.255.255.0
ipvsadm -a -t 10.9.0.101:0 -r $RS1 -g
ipvsadm -a -t 10.9.0.101:0 -r $RS2 -g -w 0

# A far server behind each kind of tunnel.
ipvsadm -A -t 10.9.0.102:80 -s sed
ipvsadm -a -t 10.9.0.102:80 -r 10.10.0.21 -i
ipvsadm -a -t 10.9.0.102:80 -r 10.10.0.22 -i --tun-type gre --tun-csum
ipvsadm -a -t 10.9.0.102:80 -r 10.10.0.23 -i --tun-type gue --tun-port 6080 --tun-nocsum

# Telephony, firewall marks, IPv6.
ipvsadm -A --sctp-service $VIP:2905 -s lc
ipvsadm -a --sctp-service $VIP:2905 -r $RS1:2905 -m -x 100 -y 50
ipvsadm -A -f 1 -s nq
ipvsadm -a -f 1 -r $RS1 -m
ipvsadm -A -f 2 -6 -s dh -p 120 -M 64
ipvsadm -A -t [fd00:9::100]:80 -s mh -b mh-port
ipvsadm -a -t [fd00:9::100]:80 -r [fd00:10::11]:80 -m
ipvsadm -a -t [fd00:9::100]:80 -r [fd00:10::12]:80 -m

# What is there?
ipvsadm
ipvsadm -Ln -t $VIP:443
ipvsadm -L -n --thresholds
ipvsadm -Ln --tun-info
ipvsadm -e --sctp-service $VIP:2905 -r $RS1:2905 -m

# Mistakes.
ipvsadm -A -t $VIP:80 -s rr || echo "exit status $?"
ipvsadm -a -t $VIP:80 -r $RS1:80 -m || echo "exit status $?"
ipvsadm -d -t $VIP:80 -r 10.10.0.99:80 || echo "exit status $?"
ipvsadm -A -t $VIP -s rr || echo "exit status $?"
ipvsadm -a -t $VIP:81 -r $RS1:80 -m || echo "exit status $?"
ipvsadm -A -t $VIP:80 -w 3 || echo "exit status $?"
ipvsadm -L -n -t $VIP:8443 || echo "exit status $?"
ipvsadm -Q || echo "exit status $?"

# Traffic.
sleep 1
ipvsadm -Ln --stats
ipvsadm -Ln --rate
ipvsadm -Ln --persistent-conn
ipvsadm -Lcn | head -n 2
ipvsadm -L --daemon
ipvsadm -Z -t $VIP:80
ipvsadm -Z

# The second web server is taken out for a while.
ipvsadm -e -t $VIP:80 -r $RS2:80 -m -w 0
ipvsadm -Ln -t $VIP:80
ipvsadm -e -t $VIP:80 -r $RS2:80 -m -w 5
ipvsadm -E -t $VIP:80 -s wrr
ipvsadm -Ln -t $VIP:80

# Save, clear, restore.
ipvsadm-save -n >"$RULES"
ipvsadm -S -n | cmp - "$RULES" && echo "saved"
cat "$RULES"
ipvsadm -C
ipvsadm -Ln
ipvsadm-restore <"$RULES" && echo "restored"
ipvsadm-save -n | cmp - "$RULES" && echo "the same"
{ echo "# with a comment"; cat "$RULES"; } | ipvsadm-restore
ipvsadm -Sn | cmp - "$RULES" && echo "still the same"
ipvsadm -C
ipvsadm -R <"$RULES"
ipvsadm -Ln

# Parts of it go.
ipvsadm -d -t $VIP:443 -r $RS1:8443
ipvsadm --delete-service -u $VIP:53
ipvsadm -D -f 2 -6
ipvsadm -D -f 2 -6 || echo "exit status $?"
ipvsadm -S -n
