#!/usr/bin/env bash
# `make demo` and `make demo-down`: Roadstead shown with nothing but the stock `aws` command.
set -euo pipefail
cd "$(dirname "$0")/.."

dir=${ROADSTEAD_DEMO_DIR:-$HOME/.cache/roadstead/demo}
data=$dir/data
roadstead=${ROADSTEAD_BIN:?}
listen=127.0.0.1:${ROADSTEAD_DEMO_PORT:-4566}
sudo=""
[ "$(id -u)" -eq 0 ] || sudo="sudo"
bold=$(tput bold 2>/dev/null || true)
plain=$(tput sgr0 2>/dev/null || true)

say() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
run() { printf '%s$ %s%s\n' "$bold" "$*" "$plain"; "$@"; }

down() {
    $sudo "$roadstead" down --data-dir "$data" --purge
    rm -rf "$dir"
    echo "The demo is gone."
}

# A root filesystem of busybox alone, made on the spot: no registry is needed.
image() {
    rm -rf "$dir/root" && mkdir -p "$dir/root/bin" "$dir/root/etc" "$dir/root/tmp" "$dir/root/www"
    cp /bin/busybox "$dir/root/bin/busybox"
    for applet in sh httpd wget sleep echo cat date hostname mkdir; do ln -s busybox "$dir/root/bin/$applet"; done
    printf 'root:x:0:0:root:/root:/bin/sh\n' > "$dir/root/etc/passwd"
    printf 'root:x:0:\n' > "$dir/root/etc/group"
    tar -C "$dir/root" -cf "$dir/web.tar" .
    $sudo "$roadstead" image --data-dir "$data" load "$dir/web.tar" --name demo/web:1 --cmd /bin/sh
}

start() {
    if [ -e "$dir/up.pid" ] && kill -0 "$(cat "$dir/up.pid")" 2>/dev/null; then
        echo "already running as process $(cat "$dir/up.pid")"
        return
    fi
    : > "$dir/ready"
    $sudo setsid "$roadstead" up --data-dir "$data" --listen "$listen" --cluster demo > "$dir/ready" 2> "$dir/roadstead.log" < /dev/null &
    echo $! > "$dir/up.pid"
    for _ in $(seq 200); do
        grep -q '^ready ' "$dir/ready" && { cat "$dir/ready"; return; }
        kill -0 "$(cat "$dir/up.pid")" 2>/dev/null || { cat "$dir/roadstead.log"; exit 1; }
        sleep 0.05
    done
    cat "$dir/roadstead.log"
    exit 1
}

definition() {
    cat > "$dir/web.json" <<'JSON'
{
  "family": "web",
  "networkMode": "bridge",
  "containerDefinitions": [
    {
      "name": "web",
      "image": "demo/web:1",
      "essential": true,
      "cpu": 64,
      "memory": 64,
      "command": ["/bin/sh", "-c", "mkdir -p /tmp/www && echo \"hello from $(hostname)\" > /tmp/www/index.html && echo web is up && exec httpd -f -v -p 80 -h /tmp/www"],
      "portMappings": [{"containerPort": 80}],
      "logConfiguration": {"logDriver": "awslogs", "options": {
        "awslogs-group": "/demo/web", "awslogs-region": "us-east-1",
        "awslogs-stream-prefix": "demo", "awslogs-create-group": "true"}}
    },
    {
      "name": "sidecar",
      "image": "demo/web:1",
      "essential": false,
      "cpu": 32,
      "memory": 32,
      "links": ["web"],
      "dependsOn": [{"containerName": "web", "condition": "START"}],
      "command": ["/bin/sh", "-c", "while :; do wget -q -O - http://web/ && sleep 5 || sleep 1; done"],
      "logConfiguration": {"logDriver": "awslogs", "options": {
        "awslogs-group": "/demo/web", "awslogs-region": "us-east-1",
        "awslogs-stream-prefix": "demo", "awslogs-create-group": "true"}}
    }
  ]
}
JSON
}

ports() {
    local tasks
    tasks=$(aws ecs list-tasks --cluster demo --service-name web --query 'taskArns[]' --output text)
    # shellcheck disable=SC2086 # one argument for each task
    aws ecs describe-tasks --cluster demo --tasks $tasks --output text \
        --query "tasks[?lastStatus=='RUNNING'].containers[] | [?name=='web'].networkBindings[].hostPort"
}

curl_all() {
    local port
    for port in $(ports); do
        printf '%s$ curl http://127.0.0.1:%s/%s\n' "$bold" "$port" "$plain"
        curl -sS --retry 5 --retry-connrefused --retry-delay 1 "http://127.0.0.1:$port/"
    done
}

replace_one() {
    local pid events
    pid=$(pgrep -f '^httpd -f -v -p 80 -h /tmp/www' | head -n 1)
    run $sudo kill -9 "$pid"
    echo "The task of process $pid ends; the service starts another one:"
    for _ in $(seq 100); do
        events=$(aws ecs describe-services --cluster demo --services web \
            --query 'length(services[0].events[?contains(message, `has started 1 tasks`)])')
        [ "$events" -ge 1 ] && break
        sleep 0.2
    done
    run aws ecs wait services-stable --cluster demo --services web
    run aws ecs describe-services --cluster demo --services web --query 'services[0].events[:4].message'
}

up() {
    mkdir -p "$dir"
    say "The image: made here, loaded from a file"
    image
    say "Start: control plane and this host's agent, one process"
    start
    local real
    export PATH="${ROADSTEAD_VENV:?}/bin:$PATH"
    eval "$("$roadstead" env --listen "$listen")"
    export AWS_PAGER="" AWS_EC2_METADATA_DISABLED=true

    say "A cluster. This host joins it as its container instance"
    run aws ecs list-clusters
    run aws ecs list-container-instances --cluster demo
    say "A task definition: a web server, and a sidecar that waits for it"
    definition
    run aws ecs register-task-definition --cli-input-json "file://$dir/web.json" --query 'taskDefinition.taskDefinitionArn'
    say "A service of three tasks"
    run aws ecs create-service --cluster demo --service-name web --task-definition web --desired-count 3 --query 'service.status'
    run aws ecs wait services-stable --cluster demo --services web
    run aws ecs describe-services --cluster demo --services web --query 'services[0].{running:runningCount,events:events[].message}'
    say "Every task answers"
    curl_all
    say "What the containers wrote (aws v2 has 'logs tail'; Debian's needs --endpoint-url)"
    for real in /usr/bin/aws aws; do command -v "$real" >/dev/null && break; done
    run "$real" logs tail /demo/web --since 5m --endpoint-url "$AWS_ENDPOINT_URL" | tail -n 12
    say "Kill one web server"
    replace_one
    say "It is yours"
    cat <<TEXT
Roadstead goes on running (process $(cat "$dir/up.pid"), log in $dir/roadstead.log). Try:
  eval "\$($roadstead env --listen $listen)"; export PATH="$ROADSTEAD_VENV/bin:\$PATH"
  aws ecs update-service --cluster demo --service web --desired-count 5
  aws ecs update-service --cluster demo --service web --force-new-deployment
  aws ecs run-task --cluster demo --task-definition web --count 2
  aws ecs describe-container-instances --cluster demo --container-instances \$(aws ecs list-container-instances --cluster demo --query 'containerInstanceArns[]' --output text)
and, to remove all of it: make demo-down
TEXT
}

case ${1:-} in
    up) up ;;
    down) down ;;
    *) echo "usage: demo.sh up|down" >&2; exit 2 ;;
esac
