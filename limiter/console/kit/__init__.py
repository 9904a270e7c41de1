"""What every page is built of, in Streamlit: words, times, tables, receipts, and widgets whose value is in the URL."""
