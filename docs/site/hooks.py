"""What the site has beside the pages of docs/: the pages of the root, and the Javadoc.

A link of a page leads to where it leads in the repository: to another page of the site where there is one,
otherwise to the repository.
"""

import posixpath
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[2]

# the project's public address; the theme's repo_url would ask its host for stars whenever a page is read
ADDRESS = ElementTree.parse(ROOT / "pom.xml").getroot().findtext("{*}properties/{*}calm.url")

# pages outside docs/, and their names in the site
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "SECURITY.md": "SECURITY.md",
}

MODULES = ["calm-tf-ops", "calm-mlflow", "calm-spring-starter", "streaming-generator"]

FENCE = re.compile(r"^(```|~~~)")

LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]+)(#[^)\s]*)?(?=\))")


def on_files(files, config):
    for source, name in PAGES.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text(encoding="utf-8")))
    files.append(File.generated(config, "api.md", content=api()))
    return files


def api():
    rows = "".join(f"| [`{module}`](api/{module}/index.html) | {described(module)} |\n" for module in MODULES)
    return f"# Javadoc\n\n| module | content |\n|---|---|\n{rows}"


def described(module):
    return ElementTree.parse(ROOT / module / "pom.xml").getroot().findtext("{*}description")


def on_page_markdown(markdown, page, config, files):
    if page.file.src_uri == "api.md":
        return markdown
    source = next((root for root, name in PAGES.items() if name == page.file.src_uri), "docs/" + page.file.src_uri)
    lines = []
    code = False
    for line in markdown.split("\n"):
        if FENCE.match(line.lstrip()):
            code = not code
        lines.append(line if code else LINK.sub(lambda link: target(link, source, page, files), line))
    return "\n".join(lines)


def target(link, source, page, files):
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), link.group(1)))
    anchor = link.group(2) or ""
    name = PAGES.get(path, path.removeprefix("docs/") if path.startswith("docs/") else None)
    file = files.get_file_from_path(name) if name is not None else None
    if file is not None and file.inclusion.is_included():
        return posixpath.relpath(name, posixpath.dirname(page.file.src_uri) or ".") + anchor
    if not (ROOT / path).exists():
        raise PluginError(f"{source} links to {path}, which does not exist")
    kind = "tree" if (ROOT / path).is_dir() else "blob"
    return f"{ADDRESS}/{kind}/HEAD/{path}{anchor}"


def on_post_build(config):
    for module in MODULES:
        javadoc = ROOT / module / "target" / "reports" / "apidocs"
        if not (javadoc / "index.html").exists():
            raise PluginError(f"{module} has no Javadoc; run 'mvn -B -q -DskipTests package' first")
        shutil.copytree(javadoc, Path(config.site_dir) / "api" / module, dirs_exist_ok=True)
