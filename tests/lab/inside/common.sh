# What the lab's scripts share. Lines that begin with "#" are remarks; every other line is a result.
patience=120
[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd # which bash wants for <(...)

seconds() { read -r up _ < /proc/uptime; echo "$up"; }

# step NAME COMMAND...: runs it, and says its status; if it fails, also what it said.
step() {
    local name=$1 began status
    shift
    began=$(seconds)
    timeout $patience "$@" > "/tmp/$name.log" 2>&1
    status=$?
    cp "/tmp/$name.log" "/share/$name.log"
    echo "$name: status $status"
    echo "# $name began at $began, took until $(seconds)"
    [ $status -eq 0 ] || sed 's/^/#   /' "/tmp/$name.log" | tail -n 20
    return $status
}

# follow FILE FROM TEXT: waits until a line with the text comes in the file; FROM is tail's, +1 for all, 0 for new ones.
# Nothing polls: there is one CPU, and starting programs takes its time here.
follow() {
    local found pid
    exec 3< <(exec timeout $patience tail -n "$2" -F "$1" 2> /dev/null)
    pid=$!
    grep -q -m 1 "$3" <&3
    found=$?
    kill $pid 2> /dev/null
    exec 3<&-
    return $found
}

# heard NAME TEXT FILE: waits until a line of the file has the text.
heard() {
    if follow "$3" +1 "$2"; then
        echo "$1: heard"
        echo "# $1 heard at $(seconds)"
    else
        echo "$1: not heard"
        tail -n 5 "$3" | sed 's/^/#   /'
        return 1
    fi
}

# count FILE: how many ticks the guest has counted.
count() { local n; n=$(tr -d '\r' < "$1" | sed -n 's/^tick \([0-9a-f]\{4\}\)$/\1/p' | tail -n 1); echo $((16#${n:-0})); }

# ticks_on NAME FILE: waits for the guest to count on from where it is.
ticks_on() {
    if follow "$2" 0 '^tick '; then echo "$1: counts on"; else echo "$1: stands still"; return 1; fi
}

# gone NAME GUEST: waits until there is no such domain.
gone() {
    local tries=0
    while xl domid "$2" > /dev/null 2>&1; do
        tries=$((tries + 1))
        [ $tries -gt $patience ] && { echo "$1: still there"; return 1; }
        sleep 1
    done
    echo "$1: gone"
}

# domains: the names of the guests that there are, on a line.
domains() { echo "domains:$(xl list | awk 'NR > 2 { printf " %s", $1 }')"; }
