//! The HTML report in a real browser: it is read, clicked and typed at, and loads nothing.

#[path = "../common/mod.rs"]
mod common;

mod chromium;
mod sample;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chromium::{CTRL, Chromium, program};
use serde_json::Value;
use tempfile::TempDir;

static ALONE: Mutex<()> = Mutex::new(());

/// A page, open in a browser.
struct Opened {
    _alone: MutexGuard<'static, ()>,
    browser: Chromium,
    file: PathBuf,
    _folder: TempDir,
}

/// None, and a word about it, where there is no browser.
fn opened(page: impl FnOnce() -> String) -> Option<Opened> {
    let Some(program) = program() else {
        println!("skipped: no chromium in PATH");
        return None;
    };
    let page = page();
    // One browser at a time: what takes how long is measured.
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("report.html");
    std::fs::write(&file, page).expect("written");
    let mut browser = Chromium::start(&program, (1280, 900));
    browser.open(&file);
    Some(Opened {
        _alone: alone,
        browser,
        file,
        _folder: folder,
    })
}

/// Of the first finding's waterfall: rows that are shown.
const ROWS: &str = "document.querySelectorAll('#f1 .wf-rows .wf-row:not([hidden])').length";
/// Left edge and width of the root's bar in percent of the plot.
const ROOT: &str = "(() => { const s = document.querySelector('#f1 .wf-rows .bar-span').style; \
    return parseFloat(s.width); })()";

#[test]
fn a_reader_can_use_all_of_it_and_it_loads_nothing() {
    let sample = || {
        let traces = sample::traces();
        sample::page(&traces, &sample::findings(&traces))
    };
    let Some(mut opened) = opened(sample) else {
        return;
    };
    let page = &mut opened.browser;
    nothing_hostile_got_in(page);
    page.place("#f1 .waterfall", 0.5);
    page.wait("document.querySelector('#f1 .wf')");
    waterfall_by_mouse(page);
    waterfall_by_keyboard(page);
    tables(page);
    colours(page);
    folding_and_links(page);
    without_scripts(page, &opened.file);
    nothing_was_loaded(&opened);
}

/// Milliseconds in which a full page must have opened. A busy machine of two CPUs takes a third of that.
const SOON: f64 = 5_000.0;

#[test]
fn a_thousand_flagged_requests_open_fast() {
    let sample = || {
        let (traces, findings) = sample::thousand();
        assert_eq!(
            (findings.flagged, findings.groups.len() > 100),
            (1_000, true)
        );
        sample::page(&traces, &findings)
    };
    let Some(mut opened) = opened(sample) else {
        return;
    };
    let page = &mut opened.browser;
    let shown = |what: &str| format!("document.querySelectorAll('{what}').length");
    assert_eq!(page.eval(&shown("#flagged tbody tr")), 1_000);
    assert_eq!(page.eval(&shown(".waterfall")), 101, "and the median's");
    page.wait("performance.getEntriesByName('first-contentful-paint').length");
    let times = "(() => { const of = (name) => performance.getEntriesByName(name)[0].startTime; \
        const page = performance.getEntriesByType('navigation')[0]; \
        return [of('first-contentful-paint'), page.domInteractive, page.loadEventEnd]; })()";
    let times = numbers(page.eval(times));
    let asked = number(page.eval("performance.now()"));
    page.place("#f1 .waterfall", 0.5);
    page.wait("document.querySelector('#f1 .wf')");
    let drawn = number(page.eval("performance.now()")) - asked;
    let size = std::fs::metadata(&opened.file).expect("written").len();
    println!(
        "1,000 flagged requests, {:.1} MB: first paint after {:.0} ms, read after {:.0} ms, loaded after {:.0} ms; \
         a waterfall {drawn:.0} ms after it is scrolled to",
        size as f64 / 1e6,
        times[0],
        times[1],
        times[2]
    );
    assert!(
        times.iter().all(|time| (0.0..SOON).contains(time)) && drawn < SOON,
        "{times:?} {drawn}"
    );
}

fn nothing_hostile_got_in(page: &mut Chromium) {
    let scripts = "document.querySelectorAll('script:not([type])').length";
    assert_eq!(page.eval(scripts), 3, "only the page's own");
    let strange = "[...document.querySelectorAll('body *')].filter((e) => ['IMG', 'IFRAME', 'OBJECT', 'LINK'] \
        .includes(e.tagName) || [...e.attributes].some((a) => a.name.startsWith('on'))).length";
    assert_eq!(page.eval(strange), 0);
    let text = page.eval("document.body.textContent");
    let text = text.as_str().expect("text");
    assert!(
        text.contains("<script>alert('1')</script>"),
        "shown as text"
    );
    assert!(!text.contains('\u{202e}') && !text.contains('\u{1b}'));
}

fn waterfall_by_mouse(page: &mut Chromium) {
    let before = number(page.eval(ROWS));
    page.click("#f1 .wf-rows .wf-row .twist");
    assert_eq!(page.eval(ROWS), 1, "all is folded into the root");
    page.click("#f1 .wf-rows .wf-row .twist");
    assert_eq!(number(page.eval(ROWS)), before);
    assert_eq!(number(page.eval(ROOT)), 100.0, "all of it is in view");
    let at = page.place("#f1 .wf-ruler .wf-plot", 0.5);
    page.wheel(at, -120, 0);
    page.wait("document.querySelector('#f1 .wf-ruler .label')?.textContent !== '0 ms'");
    page.click("#f1 .wf-tools [aria-label='Show the whole request']");
    let bar = page.place("#f1 .wf-rows .wf-row:nth-child(2) .wf-plot", 0.5);
    page.wheel(bar, -120, CTRL);
    page.wait("document.querySelector('#f1 .wf-ruler .label')?.textContent !== '0 ms'");
    page.click("#f1 .wf-tools [aria-label='Show the whole request']");
    page.wait("document.querySelector('#f1 .wf-ruler .label').textContent.startsWith('0 ')");
    drag(page);
    page.click("#f1 .wf-rows .wf-row:nth-child(1) .wf-name .text");
    page.wait("document.querySelector('#f1 .wf-panel .fact').textContent.startsWith('The root')");
    page.click("#f1 .wf-tools [aria-label='Unfold all']");
    let all = page.eval("document.querySelectorAll('#f1 .wf-rows .wf-row').length");
    assert_eq!(page.eval(ROWS), all);
    let last =
        page.eval("document.querySelector('#f1 .wf-rows .wf-row:last-child .text').textContent");
    page.click("#f1 .wf-rows .wf-row:last-child .text");
    let told = page.eval("document.querySelector('#f1 .wf-panel h4').textContent");
    assert_eq!(told, last, "its attributes are told");
    let fact = page.eval("document.querySelector('#f1 .wf-panel .fact').textContent");
    assert!(fact.as_str().expect("text").contains(" by "), "{fact}");
    assert!(number(page.eval("document.querySelectorAll('#f1 .wf-panel dd').length")) > 0.0);
}

/// A drag from a quarter to a half of the bars shows that quarter.
fn drag(page: &mut Chromium) {
    let plot = "#f1 .wf-rows .wf-row:nth-child(1) .wf-plot";
    let (from, to) = (page.place(plot, 0.25), page.place(plot, 0.5));
    page.mouse("mousePressed", from, 1);
    page.mouse("mouseMoved", to, 1);
    page.mouse("mouseReleased", to, 1);
    let first = page.eval("document.querySelector('#f1 .wf-ruler .label').textContent");
    assert_ne!(first, "0 ms", "zoomed in");
    page.click("#f1 .wf-tools [aria-label='Show the whole request']");
}

fn waterfall_by_keyboard(page: &mut Chromium) {
    page.click("#f1 .wf-rows .wf-row:nth-child(1) .wf-name .text");
    let chosen = "document.activeElement.dataset.at";
    assert_eq!(page.eval(chosen), "0");
    page.key("ArrowLeft");
    assert_eq!(page.eval(ROWS), 1, "folded");
    page.key("ArrowRight");
    page.key("ArrowDown");
    assert_eq!(page.eval(chosen), "1");
    page.key("End");
    page.key("Home");
    assert_eq!(page.eval(chosen), "0");
    let tick = "document.querySelectorAll('#f1 .wf-ruler .label')[1].textContent";
    let whole = page.eval(tick);
    page.key("+");
    assert_ne!(page.eval(tick), whole, "zoomed in");
    page.key("0");
    assert_eq!(page.eval(tick), whole);
    page.key("ArrowDown");
    page.key("z");
    assert_ne!(page.eval(tick), whole, "zoomed to the span");
    page.key("0");
}

fn tables(page: &mut Chromium) {
    let column = |n: u32| {
        format!(
            "[...document.querySelectorAll('#flagged tbody tr')].map((r) => Number(r.cells[{n}].dataset.v))"
        )
    };
    let flagged = "[...document.querySelectorAll('#latencies tbody tr')].map((r) => Number(r.cells[7].dataset.v))";
    assert_eq!(numbers(page.eval(flagged)), [4.0, 4.0], "of each endpoint");
    page.click("#flagged th:nth-child(4) button");
    let sorted = numbers(page.eval(&column(3)));
    assert!(
        sorted.len() >= 8 && sorted.is_sorted_by(|a, b| a >= b),
        "{sorted:?}"
    );
    page.eval("document.querySelector('#flagged th:nth-child(4) button').focus()");
    page.key("Enter");
    assert!(
        numbers(page.eval(&column(3))).is_sorted(),
        "the other way round"
    );
    let sort = page.eval("document.querySelector('#flagged th:nth-child(4)').ariaSort");
    assert_eq!(sort, "ascending");
    let shown = "document.querySelectorAll('#flagged tbody tr:not([hidden])').length";
    let all = number(page.eval(shown));
    page.click(".filter input");
    page.call("Input.insertText", serde_json::json!({"text": "orders"}));
    let some = number(page.eval(shown));
    assert!(0.0 < some && some < all, "{some} of {all}");
    let said = page.eval("document.querySelector('.filter output').textContent");
    assert_eq!(said, format!("{some} of {all}"));
    page.eval(
        "const k = document.querySelector('.filter select[name=kind]'); k.selectedIndex = 1; \
        k.dispatchEvent(new Event('input', {bubbles: true}))",
    );
    let kind = page.eval("document.querySelector('.filter select[name=kind]').value");
    let kinds = page.eval("[...document.querySelectorAll('#flagged tbody tr:not([hidden])')].map((r) => r.dataset.kind)");
    for one in kinds.as_array().expect("kinds") {
        assert!(
            one.as_str()
                .expect("text")
                .contains(kind.as_str().expect("text"))
        );
    }
}

fn colours(page: &mut Chromium) {
    let ground = "getComputedStyle(document.body).backgroundColor";
    page.click(".switch [data-theme=light]");
    let light = page.eval(ground);
    page.click(".switch [data-theme=dark]");
    assert_ne!(page.eval(ground), light);
    let features =
        serde_json::json!({"features": [{"name": "prefers-color-scheme", "value": "dark"}]});
    page.call("Emulation.setEmulatedMedia", features);
    page.click(".switch [data-theme=auto]");
    assert_ne!(page.eval(ground), light, "as the system wants it");
    page.call(
        "Emulation.setEmulatedMedia",
        serde_json::json!({"media": "print"}),
    );
    let shown = page.eval("getComputedStyle(document.querySelector('#f1 .static')).display");
    assert_eq!(shown, "block", "paper has the picture");
    page.call(
        "Emulation.setEmulatedMedia",
        serde_json::json!({"media": ""}),
    );
}

fn folding_and_links(page: &mut Chromium) {
    page.click("#f1 > summary");
    assert_eq!(page.eval("document.querySelector('#f1').open"), false);
    page.click("#groups tbody a");
    page.wait("document.querySelector('#f1').open");
    let ids = "[...document.querySelectorAll('[id]')].map((e) => e.id)";
    let mut ids: Vec<String> = serde_json::from_value(page.eval(ids)).expect("ids");
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all, "an id stands once");
}

/// All is said by the page itself.
fn without_scripts(page: &mut Chromium, file: &Path) {
    let off = serde_json::json!({"value": true});
    page.call("Emulation.setScriptExecutionDisabled", off);
    page.open(file);
    let seen = "document.querySelector('#f1 .static svg').getBoundingClientRect().height";
    assert!(number(page.eval(seen)) > 100.0, "the picture");
    assert_eq!(
        page.eval("document.querySelectorAll('.wf, button:not([hidden] *)').length"),
        0
    );
    assert!(number(page.eval("document.querySelectorAll('#flagged tbody tr').length")) >= 8.0);
}

fn nothing_was_loaded(opened: &Opened) {
    let own = format!("file://{}", opened.file.display());
    for event in &opened.browser.events {
        let params = &event["params"];
        match event["method"].as_str().expect("a name") {
            "Network.requestWillBeSent" => assert_eq!(params["request"]["url"], own.as_str()),
            "Runtime.exceptionThrown" | "Log.entryAdded" | "Runtime.consoleAPICalled" => {
                panic!("the console has {event}")
            }
            _ => {}
        }
    }
}

fn number(value: Value) -> f64 {
    value.as_f64().expect("a number")
}

fn numbers(value: Value) -> Vec<f64> {
    serde_json::from_value(value).expect("numbers")
}
