//! A headless Chromium, driven over the DevTools protocol through a pair of pipes.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Chromium reads commands from descriptor 3 and writes to 4; it may take two minutes in all.
const START: &str = r#"exec timeout 120 "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#;
const FLAGS: [&str; 12] = [
    "--headless",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "about:blank",
];
pub const CTRL: u32 = 2;

/// The browser, with one page.
pub struct Chromium {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    number: u64,
    session: Option<String>,
    /// What the page told so far, unasked.
    pub events: VecDeque<Value>,
    _profile: TempDir,
}

/// The browser's program, if this host has one.
pub fn program() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let path = std::env::var_os("PATH")?;
    let mut files = std::env::split_paths(&path).flat_map(|dir| names.map(|name| dir.join(name)));
    files.find(|file| file.is_file())
}

impl Chromium {
    pub fn start(program: &Path, (width, height): (u32, u32)) -> Chromium {
        let profile = tempfile::tempdir().expect("a directory");
        let mut child = Command::new("sh")
            .args(["-c", START])
            .arg(program)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(format!("--window-size={width},{height}"))
            .args(FLAGS)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let mut browser = Chromium {
            to: child.stdin.take().expect("its input"),
            from: BufReader::new(child.stdout.take().expect("its output")),
            child,
            number: 0,
            session: None,
            events: VecDeque::new(),
            _profile: profile,
        };
        browser.attach();
        browser
    }

    fn attach(&mut self) {
        let page = json!({"url": "about:blank"});
        let target = self.call("Target.createTarget", page)["targetId"].clone();
        let how = json!({"targetId": target, "flatten": true});
        let session = self.call("Target.attachToTarget", how)["sessionId"].clone();
        self.session = session.as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.call(&format!("{domain}.enable"), json!({}));
        }
    }

    /// Sends a command and waits for its answer; events that come before it are kept.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.number += 1;
        let mut message = json!({"id": self.number, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        write!(self.to, "{message}\0").expect("sent");
        loop {
            let answer = self.read();
            if answer["id"] == self.number {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].clone();
            }
            self.events.push_back(answer);
        }
    }

    fn read(&mut self) -> Value {
        let mut bytes = Vec::new();
        self.from.read_until(0, &mut bytes).expect("read");
        assert_eq!(bytes.pop(), Some(0), "the browser has gone");
        serde_json::from_slice(&bytes).expect("JSON")
    }

    /// Opens a file and waits until it is loaded.
    pub fn open(&mut self, file: &Path) {
        let url = format!("file://{}", file.display());
        let before = self.loads();
        self.call("Page.navigate", json!({"url": url}));
        while self.loads() == before {
            let event = self.read();
            self.events.push_back(event);
        }
    }

    fn loads(&self) -> usize {
        let loaded = |event: &&Value| event["method"] == "Page.loadEventFired";
        self.events.iter().filter(loaded).count()
    }

    /// The value of an expression in the page, awaited where it is a promise.
    #[track_caller]
    pub fn eval(&mut self, expression: &str) -> Value {
        let how = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.call("Runtime.evaluate", how);
        let thrown = &answer["exceptionDetails"];
        assert!(thrown.is_null(), "{expression}: {thrown}");
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true: the page draws when something comes into view.
    #[track_caller]
    pub fn wait(&mut self, expression: &str) {
        let within = format!(
            "(async () => {{ for (let n = 0; n < 200; n++) {{ if ({expression}) return true; \
             await new Promise((then) => setTimeout(then, 25)); }} return false; }})()"
        );
        assert_eq!(self.eval(&within), true, "{expression}");
    }

    /// Where a share of an element's width and its half height are, after it was brought into view.
    #[track_caller]
    pub fn place(&mut self, selector: &str, share: f64) -> (f64, f64) {
        let selector = json!(selector);
        let place = self.eval(&format!(
            "(() => {{ const e = document.querySelector({selector}); e.scrollIntoView({{block: 'center', \
             behavior: 'instant'}}); const r = e.getBoundingClientRect(); \
             return [r.left + r.width * {share}, r.top + r.height / 2]; }})()"
        ));
        let [x, y] = [0, 1].map(|at| place[at].as_f64().expect("a number"));
        (x, y)
    }

    /// A true click in an element's middle.
    #[track_caller]
    pub fn click(&mut self, selector: &str) {
        let at = self.place(selector, 0.5);
        self.mouse("mousePressed", at, 1);
        self.mouse("mouseReleased", at, 1);
    }

    /// The mouse, with its left button where `clicks` is not 0.
    pub fn mouse(&mut self, what: &str, (x, y): (f64, f64), clicks: u32) {
        let button = if clicks > 0 { "left" } else { "none" };
        let how = json!({"type": what, "x": x, "y": y, "button": button, "buttons": clicks.min(1),
            "clickCount": clicks});
        self.call("Input.dispatchMouseEvent", how);
    }

    /// Turns the wheel; down is positive.
    pub fn wheel(&mut self, (x, y): (f64, f64), delta: i32, modifiers: u32) {
        let how = json!({"type": "mouseWheel", "x": x, "y": y, "deltaX": 0, "deltaY": delta,
            "modifiers": modifiers});
        self.call("Input.dispatchMouseEvent", how);
    }

    /// Presses and releases a key, e.g. `ArrowDown`, `Enter`, `+`.
    pub fn key(&mut self, key: &str) {
        let text = match key {
            "Enter" => "\r",
            one if one.chars().count() == 1 => one,
            _ => "",
        };
        let code = match key {
            "Enter" => 13,
            "Tab" => 9,
            _ => 0,
        };
        let mut how = json!({"type": "keyDown", "key": key, "windowsVirtualKeyCode": code});
        if !text.is_empty() {
            how["text"] = json!(text);
        }
        self.call("Input.dispatchKeyEvent", how);
        let how = json!({"type": "keyUp", "key": key, "windowsVirtualKeyCode": code});
        self.call("Input.dispatchKeyEvent", how);
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Asked to, it ends with all its processes; `timeout` sees to it otherwise.
        let _ = write!(self.to, "{}\0", json!({"id": 0, "method": "Browser.close"}));
        let _ = self.child.wait();
    }
}
