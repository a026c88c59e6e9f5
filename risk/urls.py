"""Addresses of the pages about risk."""

from django.urls import path

from risk import views

app_name = "risk"
urlpatterns = [
    path("risk/", views.overview, name="overview"),
    path("risk/incidents/", views.incidents, name="incidents"),
    path("risk/incidents/<uuid:incident_id>/", views.incident, name="incident"),
    path("risk/limits/", views.limits, name="limits"),
    path("risk/limits/<uuid:account_id>/", views.limits, name="account-limits"),
]
