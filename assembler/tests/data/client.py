"""Sends requests to the lab over keep-alive connections once a line comes on standard input.
usage: client.py PORT SCENARIO"""
import http.client, json, socket, sys, threading, time

port, scenario = int(sys.argv[1]), sys.argv[2]

def ask(connection, method, path, body=None, headers={}):
    headers = dict(headers)
    if body is not None:
        body = json.dumps(body)
        headers["Content-Type"] = "application/json"
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    answer.read()
    print(method, path, answer.status, flush=True)

def fresh():
    return http.client.HTTPConnection("127.0.0.1", port)

ORDER = {"user_id": 7, "product_id": 3, "quantity": 2}

def every_endpoint():
    c = fresh()
    for path in ["/health", "/api/users?page=2", "/api/users/17", "/api/users/17", "/api/users/17/orders",
                 "/api/products/search?q=red+lamp", "/api/report/5"]:
        ask(c, "GET", path)
    ask(c, "POST", "/api/orders", ORDER)

def n_plus_one():
    ask(fresh(), "GET", "/api/users/17/orders")

def faults():
    c = fresh()
    ask(c, "GET", "/api/users/17", headers={"X-Lab-Fault": "panic"})
    ask(c, "GET", "/api/users/99999999")
    ask(c, "GET", "/api/nothing/here")
    ask(c, "GET", "/api/users/18", headers={"X-Lab-Fault": "gibberish"})
    ask(c, "GET", "/api/users/19", headers={"X-Lab-Fault": "db_ms=60"})
    s = socket.create_connection(("127.0.0.1", port))
    s.sendall(b"GET /api/users/20 HTTP/1.1\r\nHost: lab\r\nX-Lab-Fault: handler_ms=300\r\n\r\n")
    time.sleep(0.1)
    s.close()
    time.sleep(0.5)

def writes():
    def some(n):
        c = fresh()
        for i in range(2):
            ask(c, "POST", "/api/orders", dict(ORDER, user_id=n + 1))
            ask(c, "GET", f"/api/users/{n + 1}")
    threads = [threading.Thread(target=some, args=(n,)) for n in range(4)]
    for t in threads: t.start()
    for t in threads: t.join()

sys.stdin.readline()
globals()[scenario]()
time.sleep(0.2)
