// Runs before the first paint, so that a chosen theme never flashes in late. Not a module: those wait.
document.documentElement.dataset.theme = localStorage.getItem("theme") ?? "";
