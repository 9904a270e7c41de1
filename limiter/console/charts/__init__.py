"""Charts: functions from a DataFrame to an `alt.Chart`. pandas and Altair, no Streamlit."""
