'use strict';
// The pages for the browser. All text is escaped here.

const entities = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const safe = (text) => String(text).replace(/[&<>"']/g, (c) => entities[c]);

function page(title, body, served) {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${safe(title)}</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem; color: #1c2733; }
  table { border-collapse: collapse; width: 100%; }
  th, td { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid #d6dde4; }
  label { display: block; margin: .6rem 0; }
  input { font: inherit; padding: .3rem .5rem; width: 100%; box-sizing: border-box; }
  button { font: inherit; padding: .4rem 1rem; }
  .problem { color: #a3201d; }
  footer { margin-top: 2rem; color: #66727e; font-size: .85rem; }
</style>
<h1>${safe(title)}</h1>
${body}
<footer>served by ${safe(served)}</footer>
</html>
`;
}

function login(served, problem) {
  return page('Log in', `${problem ? `<p class="problem">${safe(problem)}</p>` : ''}
<form method="post" action="/login">
  <label>Name <input name="username" autocomplete="username" required autofocus></label>
  <label>Password <input name="password" type="password" autocomplete="current-password" required></label>
  <button>Log in</button>
</form>`, served);
}

function members(served, who, rows) {
  const shown = rows.map((row) => `<tr><td>${safe(row.id)}</td><td>${safe(row.username)}</td><td>${safe(row.name)}</td>`
    + `<td>${safe(row.email)}</td></tr>`).join('\n');
  return page('Members', `<table id="members">
<thead><tr><th>Id</th><th>User</th><th>Name</th><th>Mail</th></tr></thead>
<tbody>
${shown}
</tbody>
</table>
<form method="post" action="/logout"><p>You are ${safe(who)}. <button>Log out</button></p></form>`, served);
}

module.exports = { login, members, page };
