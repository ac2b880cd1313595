// What is pressed on the Feedback tab goes to the page's handler: {do, value} or {do: "ignore", kind, position, ...}.
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-do]');
  if (!button) return;
  const form = button.closest('form');
  if (form && !form.reportValidity()) return;
  trigger('click', { do: button.dataset.do, value: button.dataset.value || '', ...(form ? Object.fromEntries(new FormData(form)) : {}) });
});
