import streamlit as st
st.write('sessions')
